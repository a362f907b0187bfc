//! Whatever went wrong → the one problem the client reads.
