//! The engine and the delivery in paused time: no sockets, no database; every moment is asserted.

mod delivery;
mod drill;
mod guard;
mod heal;
mod life;
mod pace;
mod random;
