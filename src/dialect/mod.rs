//! Reading error bodies into one tree, and the dialects that ship with the program.
