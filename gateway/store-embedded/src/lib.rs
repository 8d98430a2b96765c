//! The embedded storage engine: one node, one directory.
