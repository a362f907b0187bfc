//! Who a client is: the credentials it presents → its identity, or a refusal.
