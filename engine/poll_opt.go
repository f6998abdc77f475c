//go:build poll_opt

package engine

// gnet's tag poll_opt changes the signature of Poller.Polling, and its poller then needs
// a PollAttachment that outlives the call for every descriptor. The sentence below is
// what a build with the tag fails with.
const _ = the_engine_does_not_support_the_build_tag_poll_opt_build_without_it
