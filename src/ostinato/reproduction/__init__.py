"""What the folders of reproductions/ share: protocols, published figures, tables."""
