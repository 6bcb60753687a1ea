"""`mcdrop demo`: what dropout can say about handwritten digits."""
