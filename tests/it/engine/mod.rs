//! The engine and the delivery in paused time: no sockets, no database; every moment is asserted.

mod chaos;
mod delivery;
mod drill;
mod flap;
mod guard;
mod heal;
mod kill;
mod ladder;
mod life;
mod maintenance;
mod pace;
mod push;
mod random;
mod sending;
mod silence;
mod stop;
mod storm;
mod witness;
