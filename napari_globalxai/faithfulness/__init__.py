"""PEPPR, Progressive Erasing Plus Progressive Restoration: is a global map faithful to the model?"""
