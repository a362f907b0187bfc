//! The route table: a request head → an upstream and its policies.
