//! What may be sent again: the replay table.
