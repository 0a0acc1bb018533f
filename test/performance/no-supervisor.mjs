// Stands where a Job would be watched over.
