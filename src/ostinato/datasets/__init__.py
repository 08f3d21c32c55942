"""Downloads datasets: sources with licences, verified copies, manifests."""
