//! How evenly slots are spent: governor's GCRA on our clock and our state.
