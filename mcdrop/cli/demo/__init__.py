"""`mcdrop demo`: what dropout can say about handwritten digits, and about a curve with a gap."""
