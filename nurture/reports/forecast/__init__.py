"""The forecast of a send: the product's own rules and guard over its people, without writing anything."""
