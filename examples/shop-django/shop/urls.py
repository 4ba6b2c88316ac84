"""The shop's pages, and the payment endpoints below /pay."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.static import serve

from paygate.web.django import urls

from .models import Order
from .payments import receiver
from .products import PRODUCTS


def front(request: HttpRequest) -> HttpResponse:
    """What there is to buy."""
    payer = request.session.setdefault("payer", secrets.token_urlsafe(16))
    carts = [(product, Order.cart(payer, id)) for id, product in PRODUCTS.items()]
    return render(request, "shop.html", {"carts": carts, "script": receiver.script})


def one(request: HttpRequest, id: str) -> HttpResponse:
    """What became of an order."""
    order = Order.objects.filter(id=id, payer=request.session.get("payer", "")).first()
    if order is None:
        return lost(request)
    return render(request, "order.html", {"order": order, "product": PRODUCTS[order.product]})


def lost(request: HttpRequest) -> HttpResponse:
    """For a payer who came back in another browser."""
    return render(request, "lost.html")


urlpatterns = [
    path("", front), path("orders/<id>", one), path("lost", lost), path("pay/", include(urls(receiver))),
    path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT})]
