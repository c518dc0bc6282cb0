"""What runs inside a worker: it watches for its parent's end, then hands over to the Lambda runtime client.

Started by path with `python -P`, so that neither this folder nor the repository is importable in a function.
"""

import importlib.util
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

PURE = "PILOTLIGHT_PURE_RUNTIME"


def _leave_with_parent() -> None:
    """End the worker's whole process group when the parent's end of our standard input closes.

    A pipe tells this on every system, however the parent died. Linux' parent-death signal would not do: it
    fires when the *thread* ends that started us.
    """
    while os.read(0, 64):
        pass
    os.killpg(0, signal.SIGKILL)


def _run(handler: str) -> None:
    pure = os.environ.pop(PURE, "") == "1" or importlib.util.find_spec("awslambdaric") is None
    sys.argv = ["awslambdaric", handler]
    if pure:
        loop = Path(__file__).with_name("pure_runtime_client.py")
        runpy.run_path(str(loop), run_name="__main__")
    else:
        runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _run(sys.argv[1])
