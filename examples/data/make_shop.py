"""Makes the small shop data set in `shop/`: invented rows, the same ones every time.

    python3 make_shop.py shop

A few rows are wrong on purpose (no e-mail, a negative quantity, an order that came twice), so that
checks have something to find.
"""

import csv
import datetime
import pathlib
import random
import sys

COUNTRIES = ["Germany", "France", "Spain", "Italy", "Poland", "Netherlands"]
FIRST = ["Ada", "Ben", "Chloe", "David", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jan", "Katja", "Luis"]
LAST = ["Almeida", "Becker", "Costa", "Dubois", "Esposito", "Fischer", "Garcia", "Hoffmann", "Kowalski", "Moreau"]
CATEGORIES = {"Kitchen": 24, "Garden": 39, "Books": 15, "Toys": 19, "Office": 29}
STATUSES = ["paid", "paid", "paid", "shipped", "shipped", "returned", "cancelled"]


def rows(rng):
    customers = [
        [i, f"{rng.choice(FIRST)} {rng.choice(LAST)}", "" if i % 37 == 0 else f"customer{i}@example.com",
         rng.choice(COUNTRIES), (datetime.date(2023, 1, 1) + datetime.timedelta(days=rng.randrange(500))).isoformat()]
        for i in range(1, 201)
    ]
    products = []
    for i in range(1, 41):
        category = rng.choice(list(CATEGORIES))
        products.append([i, f"{category} item {i}", category, f"{CATEGORIES[category] * rng.uniform(0.5, 3):.2f}"])
    orders, items = [], []
    start = datetime.datetime(2024, 1, 1, 7)
    for i in range(1, 1501):
        placed = start + datetime.timedelta(minutes=rng.randrange(366 * 24 * 60))
        orders.append([i, rng.randrange(1, 201), placed.strftime("%Y-%m-%dT%H:%M:%SZ"), rng.choice(STATUSES)])
        for product in rng.sample(products, rng.randrange(1, 5)):
            quantity = -1 if rng.randrange(400) == 0 else rng.randrange(1, 6)
            items.append([i, product[0], quantity, product[3]])
    orders.append(orders[41])
    return {
        "customers": (["customer_id", "name", "email", "country", "signup_date"], customers),
        "products": (["product_id", "name", "category", "price"], products),
        "orders": (["order_id", "customer_id", "ordered_at", "status"], orders),
        "order_items": (["order_id", "product_id", "quantity", "unit_price"], items),
    }


def main(target):
    target.mkdir(exist_ok=True)
    for name, (header, body) in rows(random.Random(20241)).items():
        with open(target / f"{name}.csv", "w", newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([header, *body])


main(pathlib.Path(sys.argv[1]))
