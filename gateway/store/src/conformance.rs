//! What an engine must keep, whatever it is made of.
