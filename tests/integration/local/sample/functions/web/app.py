"""A Chalice application with path parameters, a body and an error."""

import time

from chalice import BadRequestError, Chalice, Response

app = Chalice(app_name="sample")


@app.route("/things", methods=["GET"])
def list_things():
    return {"query": app.current_request.query_params}


@app.route("/things/{name}", methods=["GET", "POST"])
def one_thing(name):
    request = app.current_request
    if name == "bad":
        raise BadRequestError("no such name")
    if name == "slow":
        time.sleep(3)
    if name == "broken":
        return Response(body=object())
    body = request.json_body if request.method == "POST" else None
    return Response(
        body={"name": name, "body": body, "header": request.headers.get("x-asked"), "ip": request.context["identity"]},
        status_code=201 if request.method == "POST" else 200,
        headers={"Location": f"/things/{name}"},
    )
