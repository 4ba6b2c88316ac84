"""A receiver in Flask: `app.register_blueprint(blueprint(receiver), url_prefix="/pay")`."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..errors import BadSettings
from .bodies import BodyReader
from .exchange import Asked
from .receiver import Receiver
from .run import carry_out

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def blueprint(receiver: Receiver, name: str = "paygate") -> Blueprint:
    """The endpoints as a blueprint, to be registered at the path of the receiver's `url`.

    Raises: BadSettings for a receiver of asynchronous gateways.
    """
    if receiver.is_async:
        raise BadSettings("Flask's views run in threads: use connect(), Gateway and Inbox")
    made = Blueprint(name, __name__)
    reader = BodyReader()

    @made.route("/", defaults={"rest": ""}, methods=_METHODS, provide_automatic_options=False)
    @made.route("/<path:rest>", methods=_METHODS, provide_automatic_options=False)
    def view(rest: str) -> Response:
        asked = Asked(method=request.method, path=rest, query=request.query_string.decode("latin-1"),
                      headers={key.lower(): value for key, value in request.headers.items()},
                      request=request._get_current_object())  # type: ignore[attr-defined]
        answer = carry_out(receiver.answer(asked), lambda wanted: reader.read_input(request.environ, wanted))
        response = Response(answer.body, status=answer.status)
        for key, value in answer.headers:
            response.headers[key] = value
        for cookie in answer.cookies:
            response.headers.add("set-cookie", cookie.header())
        return response

    return made
