//! A dialect: how one vendor speaks when something is wrong, as data.
