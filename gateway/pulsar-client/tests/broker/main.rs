//! The client against a broker that a test plays, frame by frame.
mod fake;
mod issuer;
mod lookup;
mod oauth2;
mod produce;
mod read;
mod round_trips;
mod tls;
