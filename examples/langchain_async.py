"""A chain of LangChain's over a deployment, several questions at once, however cold the model is.

    python examples/langchain_async.py NAME                    through Pilotlight, at PILOTLIGHT_URL
    python examples/langchain_async.py --endpoint ENDPOINT     straight to SageMaker, with boto3

Needs `pip install 'pilotlight[langchain]'`.
"""

import argparse
import asyncio
import sys

from langchain_core.language_models.llms import LLM
from langchain_core.prompts import PromptTemplate
from pilotlight_client.langchain import GeneratedText, PilotlightLLM, SagemakerAsyncEndpoint

PROMPT = PromptTemplate.from_template("In one sentence, for somebody who has never seen one: what is {thing}?")
THINGS = ["a pilot light", "a boiler", "a draught"]


def main() -> int:
    """Return 0 once every answer is printed."""
    parser = argparse.ArgumentParser(description="Ask a deployment, or an endpoint, through LangChain.")
    parser.add_argument("deployment", nargs="?")
    parser.add_argument("--endpoint")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds, with a cold start")
    wanted = parser.parse_args()
    if bool(wanted.deployment) == bool(wanted.endpoint):
        parser.error("give a deployment's name, or --endpoint")

    for thing, answer in zip(THINGS, asyncio.run(ask(model(wanted))), strict=True):
        print(f"{thing}: {answer.strip()}")
    return 0


def model(wanted: argparse.Namespace) -> LLM:
    """Return the model: Pilotlight wakes a cold one; SageMaker's own endpoint wakes because of what waits at it."""
    if wanted.deployment:
        return PilotlightLLM(
            deployment=wanted.deployment, max_wait_seconds=wanted.timeout, model_kwargs={"max_tokens": 64}
        )
    return SagemakerAsyncEndpoint(
        endpoint_name=wanted.endpoint,
        content_handler=GeneratedText(),
        cold_start_timeout=wanted.timeout,
        model_kwargs={"max_new_tokens": 64},
    )


async def ask(llm: LLM) -> list[str]:
    """Return an answer for each thing; they wait at once, and hold no thread while they do."""
    return await (PROMPT | llm).abatch([{"thing": thing} for thing in THINGS])


if __name__ == "__main__":
    sys.exit(main())
