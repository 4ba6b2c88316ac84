"""Which call goes where, and who may make it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from paygate.testing.emulator import Call
from paygate.wire import Response

from . import billing, catalog, checkout, customers, orders, subscriptions
from .pg import Pg
from .reading import Ask, Rejected, read_query

Handler = Callable[[Pg, Ask], Response]

_TABLE: dict[str, dict[str, Handler]] = {
    "/api/v1/customers": {"POST": customers.create, "GET": customers.listing},
    "/api/v1/customers/{}": {"GET": customers.read, "PUT": customers.update, "DELETE": customers.delete},
    "/api/v1/customers/{}/payment-method": {"POST": customers.register_method, "PUT": customers.replace_methods},
    "/api/v1/customers/{}/payment-method/{}": {"DELETE": customers.delete_method},
    "/api/v1/session/{}": {"GET": customers.session},
    "/api/v1/products": {"POST": catalog.create, "GET": catalog.listing},
    "/api/v1/products/{}": {"GET": catalog.read, "PUT": catalog.update, "DELETE": catalog.delete},
    "/api/v1/products/{}/status": {"PATCH": catalog.set_status},
    "/api/v1/products/{}/prices": {"GET": catalog.prices, "POST": catalog.create_price},
    "/api/v1/products/{}/prices/{}": {"GET": catalog.read_price, "PUT": catalog.update_price,
                                      "DELETE": catalog.delete_price},
    "/api/v1/orders": {"POST": orders.create, "GET": orders.listing},
    "/api/v1/orders/{}": {"GET": orders.read},
    "/api/v1/orders/{}/cancel": {"PATCH": orders.cancel},
    "/api/v1/orders/{}/retry-payment": {"PUT": orders.retry},
    "/api/v1/orders/{}/pay": {"GET": checkout.pay_link},
    "/api/public/orders/test": {"GET": checkout.demo_link},
    "/api/public/orders/{}/pay": {"GET": checkout.pay_link},
    "/api/v1/subscriptions": {"GET": subscriptions.listing},
    "/api/v1/subscriptions/{}": {"GET": subscriptions.read},
    "/api/v1/subscriptions/{}/cancel": {"POST": subscriptions.cancel},
    "/api/v1/subscriptions/{}/pause": {"POST": subscriptions.pause},
    "/api/v1/subscriptions/{}/active": {"POST": subscriptions.resume},
    "/api/v1/subscriptions/{}/change-pay-datetime": {"POST": subscriptions.move},
    "/api/v1/subscriptions/{}/interval": {"PUT": subscriptions.change_interval},
    "/api/v1/subscriptions/{}/renew": {"POST": subscriptions.renew},
    "/api/v1/subscriptions/{}/payment-method": {"PUT": subscriptions.change_method},
    "/api/v1/subscriptions/{}/items": {"PUT": subscriptions.replace_items, "POST": subscriptions.add_item},
    "/api/v1/subscriptions/{}/items/{}": {"PUT": subscriptions.change_item, "DELETE": subscriptions.delete_item},
    "/api/v1/subscriptions/{}/items/{}/options": {"GET": subscriptions.options},
    "/api/v1/subscriptions/{}/calculate": {"GET": subscriptions.calculate},
    "/api/payment/billing": {"POST": billing.charge},
    "/api/payment/receipt/{}": {"GET": billing.read_receipt},
    "/api/internal/payment/cancel": {"POST": billing.cancel},
}
_SPLIT = [(tuple(path.split("/")), methods) for path, methods in _TABLE.items()]
ROUTES = tuple((method, path) for path, methods in _TABLE.items() for method in methods)
"""Every method and path of the API that is served."""
UNMANAGED = ("/api/payment/", "/api/internal/payment/")
"""How the paths begin that unmanaged merchants use. Both kinds share an account: everything is served to both."""
_OPEN = "/api/public/"
_CANCEL = "/api/internal/payment/cancel"


def answer(pg: Pg, call: Call) -> Response:
    """Answer one call.

    Raises: Rejected.
    """
    if not call.path.startswith(_OPEN):
        _authorize(pg, call)
    parts = tuple(call.path.split("/"))
    for pattern, methods in _SPLIT:
        if len(pattern) == len(parts) and all(p == "{}" or p == q for p, q in zip(pattern, parts, strict=True)):
            if call.method not in methods:
                raise Rejected(405, "METHOD_NOT_ALLOWED", "this path does not take that method")
            places = tuple(unquote(q) for p, q in zip(pattern, parts, strict=True) if p == "{}")
            return methods[call.method](pg, Ask(call, places, read_query(call.query), pg.switches.zone_hours))
    raise Rejected(404, "NOT_FOUND", "no such path")


def _authorize(pg: Pg, call: Call) -> None:
    """One token per merchant, in Secret-Token; the guide's refund sample has it in Secret-Key (both documented)."""
    names = {"either": ("secret-token", "secret-key"), "secret-key": ("secret-key",), "secret-token": ("secret-token",)}
    allowed = names[pg.switches.refund_header] if call.path == _CANCEL else ("secret-token",)
    if not any(call.headers.get(name) == pg.token for name in allowed):
        raise Rejected(pg.switches.unauthorized_status, "FORBIDDEN", "the token is missing or not valid")
