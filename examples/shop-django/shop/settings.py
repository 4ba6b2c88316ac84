"""Django's settings of the shop. What differs from machine to machine comes from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent

SHOP_URL = os.environ["SHOP_URL"]
SECRET_KEY = os.environ["SHOP_SECRET"]
PAYGATE: dict[str, Any] | None = None
"""The arguments of `paygate.connect`; None takes them from PAYGATE_…."""

ALLOWED_HOSTS = [urlsplit(SHOP_URL).hostname]
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = SHOP_URL.startswith("https:")
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin-allow-popups"
"""A payment window is a pop-up that tells the page how it ended; Django's own "same-origin" would part them."""
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
"""Nothing is written for those who only look."""
SESSION_COOKIE_AGE = 365 * 86_400
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SHOP_DATABASE", "shop.db"),
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_ROOT = HERE / "static"
