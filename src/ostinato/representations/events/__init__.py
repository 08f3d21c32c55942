"""Streams of events in MidiTok's vocabularies (REMI, MIDI-like), one sub-token a position."""
