"""What every lesson shares.

=======  ===========================================================================================
lesson   the frame: options, cells, questions, where figures go, the recap, and one plotting style
figures  what lessons on codes draw: sheets of images, a manifold, a map of codes, gradient flow
=======  ===========================================================================================
"""
