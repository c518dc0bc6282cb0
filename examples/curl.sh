#!/bin/sh
# A model from its source to answers and down again, with curl alone: every request of the API that this takes.
#
#   examples/curl.sh [NAME] [SOURCE]
#
# PILOTLIGHT_URL says where the API is. One on this machine takes unsigned requests; any other is asked with the
# credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, for the region AWS_REGION.
set -eu

NAME=${1:-by-curl}
SOURCE=${2:-hf://local/small-llama}
URL=${PILOTLIGHT_URL:-http://127.0.0.1:8000}
POLL=${POLL_SECONDS:-2}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# api METHOD PATH [curl's further arguments]: prints the answer; what is refused ends the script with its reason.
api() {
    method=$1 path=$2
    shift 2
    case $URL in
    http://127.0.0.1* | http://localhost*) ;;
    *)
        set -- --aws-sigv4 "aws:amz:$AWS_REGION:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
            ${AWS_SESSION_TOKEN:+--header "X-Amz-Security-Token: $AWS_SESSION_TOKEN"} "$@"
        ;;
    esac
    curl --silent --show-error --fail-with-body --output "$WORK/reply" --request "$method" "$URL$path" "$@" || {
        cat "$WORK/reply" >&2
        exit 1
    }
    cat "$WORK/reply"
}

# field NAME...: prints one member of the JSON document on stdin, or nothing.
field() {
    python3 -c 'import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = value.get(name) if isinstance(value, dict) else None
print("" if value is None else value if isinstance(value, str) else json.dumps(value))' "$@"
}

# until_it_is PATH NAME WANTED: asks again until that member is WANTED, through all that comes before, which takes
# minutes where an instance has to start; what can no longer come to that ends the script.
until_it_is() {
    last=
    while :; do
        api GET "$1" >"$WORK/answer"
        now=$(field "$2" <"$WORK/answer")
        phase=$(field phase <"$WORK/answer")
        left=$(field estimate seconds_left <"$WORK/answer")
        [ "$now $phase" = "$last" ] || echo "  $1: $now${phase:+, $phase}${left:+, about $left s left}"
        last="$now $phase"
        [ "$now" != "$3" ] || return 0
        case "$3: $now, $phase" in
        *": FAILED, "* | *", failed" | *", expired" | "SERVING: TEARING_DOWN, "* | "SERVING: GONE, "*)
            cat "$WORK/answer" >&2
            exit 1
            ;;
        esac
        sleep "$POLL"
    done
}

# answer_to FILE: waits for the invocation in FILE, and prints what the container gave.
answer_to() {
    until_it_is "/invocations/$(field id <"$1")" status SUCCEEDED
    output_url=$(field output_url <"$WORK/answer")
    if [ -n "$output_url" ]; then # large, or binary: it is fetched, and needs no signature
        curl --silent --show-error --fail "$output_url"
        echo
    else
        field body <"$WORK/answer"
    fi
}

echo "Would it run, and on which instance?"
api POST /preflight --json "{\"source\": \"$SOURCE\", \"backend\": \"sagemaker-async\"}" >"$WORK/verdict"
field verdict proposal instance_type <"$WORK/verdict"

echo "Deploy it onto an asynchronous endpoint that comes down to zero"
api POST /deployments --header "Idempotency-Key: $NAME-$$" --json "{
    \"name\": \"$NAME\", \"source\": \"$SOURCE\", \"backend\": \"sagemaker-async\", \"lease\": \"24h\",
    \"scaling\": {\"min\": 0, \"max\": 1, \"initial\": 1}
}" >"$WORK/deployment"
until_it_is "/deployments/$NAME" status SERVING

echo "Send the container JSON of its own"
api POST "/deployments/$NAME/invocations" \
    --json '{"payload": {"inputs": "What keeps a model warm?", "parameters": {"max_new_tokens": 48}}}' >"$WORK/invocation"
answer_to "$WORK/invocation"

echo "Send it what is too long for a request: a place, the bytes, and their name"
python3 -c 'import json
print(json.dumps({"inputs": "Warm or cold? " * 20_000, "parameters": {"max_new_tokens": 48}}))' >"$WORK/long.json"
api POST "/deployments/$NAME/inputs" --json '{"content_type": "application/json"}' >"$WORK/place"
python3 -c 'import json, sys
for name, value in json.load(sys.stdin)["upload"]["headers"].items():
    print(f"{name}: {value}")' <"$WORK/place" >"$WORK/headers"
curl --silent --show-error --fail --upload-file "$WORK/long.json" --header "@$WORK/headers" "$(field upload url <"$WORK/place")"
api POST "/deployments/$NAME/invocations" \
    --json "{\"input\": \"$(field input <"$WORK/place")\", \"content_type\": \"application/json\"}" >"$WORK/invocation"
answer_to "$WORK/invocation"

echo "Take it down with everything that it made"
api DELETE "/deployments/$NAME" >"$WORK/deployment"
until_it_is "/deployments/$NAME" status GONE
