"""A receiver in Django: `path("pay/", include(urls(receiver)))`.

Django's protection against forged requests stays on everywhere but for webhooks, which no browser sends.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from ..errors import BadSettings
from .bodies import BodyReader
from .exchange import Answer, Asked, Body, too_long
from .receiver import Receiver
from .run import carry_out


def urls(receiver: Receiver) -> list[Any]:
    """The endpoints as URL patterns, to be included at the path of the receiver's `url`.

    Raises: BadSettings for a receiver of asynchronous gateways.
    """
    if receiver.is_async:
        raise BadSettings("Django's views run in threads: use connect(), Gateway and Inbox")
    reader = BodyReader()

    def view(request: HttpRequest, rest: str) -> HttpResponse:
        asked = Asked(method=request.method or "GET", path=rest, query=request.META.get("QUERY_STRING", ""),
                      headers={name.lower(): value for name, value in request.headers.items()}, request=request,
                      fields={"csrfmiddlewaretoken": get_token(request)} if rest == "start" else {})
        return _response(carry_out(receiver.answer(asked), lambda wanted: _read(reader, request, wanted)))

    return [re_path(r"^(?P<rest>webhooks/.*)$", csrf_exempt(view)), re_path(r"^(?P<rest>.*)$", view)]


def _read(reader: BodyReader, request: HttpRequest, wanted: Body) -> bytes:
    environ = getattr(request, "environ", None)
    if environ is not None and "_body" not in request.__dict__:
        return reader.read_input(environ, wanted)
    # Read already: by a middleware (for the token in a form, say), or by Django itself where it speaks ASGI.
    body: bytes = request.body
    if len(body) > wanted.limit:
        raise too_long()
    return body


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    # What there is to say is in our own log: Django would mail each refused webhook of a flood to the administrators.
    response._has_been_logged = True
    response["content-length"] = str(len(answer.body))
    for name, value in answer.headers:
        response[name] = value
    for cookie in answer.cookies:
        response.set_cookie(cookie.name, cookie.value, max_age=cookie.max_age_s, path=cookie.path,
                            secure=cookie.secure, httponly=True, samesite="Lax")
    return response
