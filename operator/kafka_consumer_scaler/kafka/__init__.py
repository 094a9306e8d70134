"""What is asked of Kafka: the lag of many groups of one cluster at once, by a supervised child process."""
