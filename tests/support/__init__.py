"""What the tests share: a box as a black box, independent DICOM peers, generated instances, and one way to wait."""
