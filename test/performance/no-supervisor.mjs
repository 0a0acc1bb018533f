// Stands where a Job would be watched over.
process.exit(0)
