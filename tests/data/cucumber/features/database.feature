Feature: database

  Background:
    Given a database

  Scenario: stores the order
    Given 19 and 23

  Scenario: finds the order
    Given 19 and 23
