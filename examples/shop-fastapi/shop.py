"""A shop that sells a book once and tea every month, through any payment gateway. Nothing here knows which one.

    uvicorn --factory shop:app
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from orders import Orders
from products import PRODUCTS

from paygate import AsyncGateway, Customer, Event, Pay, Subscribe, connect_async, from_environment
from paygate.web import AsyncInbox, Outcome, Receiver, Status, Visit
from paygate.web.asgi import asgi

HERE = Path(__file__).parent
PAYER = Customer(id="payer-77", name="김민지", phone="010-1234-5678", email="minji@example.com")
"""In your shop: the account that is logged in."""
ONLY_THERE = {"portone-naverpay": {"naverProductCode": "tea"}}
"""What only one gateway knows; the others do not look at it."""


PAID_TWICE = "한 번 더 결제되었습니다. {money} 환불해 드립니다. Paid once more: {money} will be given back."


def app() -> FastAPI:
    """The shop of the environment: the gateway in PAYGATE_…, its public address and secret in SHOP_…."""
    return shop(connect_async(**from_environment(os.environ)), url=os.environ["SHOP_URL"],
                secret=os.environ["SHOP_SECRET"], database=os.environ.get("SHOP_DATABASE", "shop.db"))


def shop(gate: AsyncGateway, *, url: str, secret: str, database: str, work_every_s: float = 60.0) -> FastAPI:
    """The shop at an address, with a gateway. It closes the gateway."""
    orders, inbox = Orders(database), AsyncInbox(gate)
    pages = Jinja2Templates(HERE / "pages")

    # What is to be paid, and where the payer goes afterwards

    async def order(visit: Visit) -> Pay | Subscribe | str:
        found = orders.begin(visit.form.get("order", ""), visit.request.cookies.get("payer", ""), PRODUCTS)
        if found is None:
            return "/"
        product, back = PRODUCTS[found.product], visit.return_url(found.id)
        if product.every is None:
            return Pay(order_id=found.id, money=product.money, title=product.title, return_url=back, customer=PAYER)
        return Subscribe(order_id=found.id, money=product.money, every=product.every, title=product.title,
                         return_url=back, customer=PAYER, extra=ONLY_THERE)

    async def done(visit: Visit, outcome: Outcome) -> str:
        if outcome.order_id is None:
            return "/lost"
        declined = outcome.error if outcome.status is Status.FAILED else None
        orders.becomes(outcome.order_id, outcome.status, (declined and declined.message) or "")
        return f"/orders/{outcome.order_id}"

    # What the gateway tells, whether or not the payer came back

    @inbox.on("payment_paid", "payment_failed", "payment_cancelled", "subscription_renewed", "renewal_failed")
    async def heard(event: Event) -> None:
        if event.order_id is None or event.payment is None:
            return
        id, status = event.order_id, event.payment.status.value
        if event.kind in ("subscription_renewed", "renewal_failed"):
            orders.renewed(event.id, id, f"{event.payment.money} {status}")
        elif event.payment.renews is None and event.payment.order_id in (id, f"{id}-1"):
            orders.becomes(id, status, f"{event.payment.left} left" if event.kind == "payment_cancelled" else "")

    @inbox.on("unmatched")
    async def unasked(event: Event) -> None:
        """Somebody paid once more for an order that was paid, in a second window: a person gives it back."""
        paid = event.payment
        if paid is None or not paid.status.took_money:
            return
        logging.error("%s: %s was paid without being asked for; give it back with cancel_whole under the order id %s",
                      event.order_id, paid.money, paid.provider_id)
        if event.order_id is not None:
            orders.noted(event.order_id, PAID_TWICE.format(money=paid.money))

    async def work() -> None:
        """Charge what is due, ask what is in doubt, tell what was not told."""
        while True:
            try:
                await gate.run_due()
                await inbox.work()
            except Exception:
                logging.exception("the shop's work failed; it is done again")
            await asyncio.sleep(work_every_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker = asyncio.create_task(work())
        yield
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
        await gate.close()

    # Pages

    made = FastAPI(lifespan=lifespan)
    receiver = Receiver(inbox, url=f"{url}/pay", secret=secret, order=order, done=done)
    made.mount("/pay", asgi(receiver))
    made.mount("/static", StaticFiles(directory=HERE / "static"))

    @made.get("/")
    def front(request: Request) -> Response:
        payer = request.cookies.get("payer") or secrets.token_urlsafe(16)
        carts = [(product, orders.cart(payer, id)) for id, product in PRODUCTS.items()]
        page = pages.TemplateResponse(request, "shop.html", {"carts": carts, "script": receiver.script})
        page.set_cookie("payer", payer, httponly=True, samesite="lax", secure=url.startswith("https:"))
        return page

    @made.get("/orders/{id}")
    def one(request: Request, id: str) -> Response:
        found = orders.find(id, payer=request.cookies.get("payer", ""))
        if found is None:
            return lost(request)
        return pages.TemplateResponse(request, "order.html", {
            "order": found, "product": PRODUCTS[found.product], "renewals": orders.renewals(id)})

    @made.get("/lost")
    def lost(request: Request) -> Response:
        return pages.TemplateResponse(request, "lost.html")

    return made
