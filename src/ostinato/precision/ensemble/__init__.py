"""A band is made of autoregressive models: their steps are its own."""
