//! An outcome and a dialect → the class of the outcome.
