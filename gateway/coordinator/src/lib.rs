//! Consumer groups, offsets and transactions as a pure state machine.
