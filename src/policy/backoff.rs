//! The wait we choose ourselves between attempts.
