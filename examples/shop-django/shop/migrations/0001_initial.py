"""The shop's first tables."""

from __future__ import annotations

from typing import Any, ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Orders, and the later periods of subscriptions."""

    initial = True
    dependencies: ClassVar[list[Any]] = []
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(name="Order", fields=[
            ("id", models.CharField(max_length=30, primary_key=True, serialize=False)),
            ("payer", models.CharField(max_length=40)),
            ("product", models.CharField(max_length=20)),
            ("status", models.CharField(default="open", max_length=20)),
            ("note", models.TextField(default=""))],
            options={"indexes": [models.Index(fields=["payer", "product"], name="orders_of_payer")]}),
        migrations.CreateModel(name="Renewal", fields=[
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("event", models.CharField(max_length=300, unique=True)),
            ("note", models.TextField()),
            ("order", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="renewals",
                                        to="shop.order"))])]
