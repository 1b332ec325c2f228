"""The labeler as a stage of data engines: datatrove, Ray Data and Spark, each on the one core of `engines.core`."""
