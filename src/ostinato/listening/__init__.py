"""Blind listening tests: study files, designs, stimuli, server, store of answers, analysis."""
