"""Enrollment: from a device's proofs to its certificate. Two doors share it: EnrollmentService and ACME."""
