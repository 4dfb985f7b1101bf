"""What a service keeps for a while instead of asking for it again: nothing, or in memory, behind one port."""
