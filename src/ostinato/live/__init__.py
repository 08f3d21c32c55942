"""The generator in live use: an OSC server, clips of Ableton Live, MIDI ports."""
