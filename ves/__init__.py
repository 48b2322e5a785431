"""VeS: which pixels does a spoken word mean?"""
