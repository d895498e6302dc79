"""The permissions of the store."""

# See goods, prices, batches; sell and enter outgoing goods.
VIEW, SELL = "store.view", "store.sell"
# Suppliers, plans and orders; receive and inspect deliveries.
BUY, RECEIVE = "store.buy", "store.receive"
# Decide on quality: release products, objections; keep the stock: shelves, removals, counts.
QUALITY, STOCK = "store.quality", "store.stock"
# Ask for prices; decide on them and on differences (the store's head); displays and showroom tasks.
PRICE, DECIDE, DISPLAY = "store.price", "store.decide", "store.display"
