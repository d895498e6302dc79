"""The permissions of warranty and fees."""

VIEW, HANDLE, DECIDE_OTHERWISE = "warranty.view", "warranty.handle", "warranty.overrule"
TERMS, PRICE = "warranty.terms", "warranty.price"
COLLECT, FINANCE, MONEY = "warranty.collect", "warranty.finance", "warranty.view_money"
CONTRACT = "warranty.contract"
