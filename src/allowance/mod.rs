//! The vault: live ledgers, queues and holds, behind acquire and settle.
