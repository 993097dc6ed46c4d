"""What some methods do around the one loop: stages that prepare another network, targets or
measures.
"""
