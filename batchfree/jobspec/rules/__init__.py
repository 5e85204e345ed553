"""Rules and models, each for one part of the job spec."""
